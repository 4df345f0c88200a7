"""`python -m bench` (or `make bench`): the balancer against a direct connection and plain mitmdump, as ratios.

Every variant of a case runs in turns within one run (a b c d, a b c d, ...), each turn on a warmed connection, and only
ratios within one round are judged: absolute numbers are context, they say more about the machine than about the code.

    (a) direct      the client speaks TLS to the origin
    (b) mitmdump    plain mitmdump with an addon that only asks for streamed responses
    (c) addon       mitmdump -s addon/balancer.py
    (d) run         balancer run

The origin, the delaying relay, the load client and the proxies are processes of their own.
"""
