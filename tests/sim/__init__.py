"""The deterministic simulation (DESIGN section 8): the production core under a virtual clock and one seeded `Random`.

Simulated providers know the truth (quotas, outages, what was billed); simulated agents work for days of virtual time;
the process under test may die at any step and starts again with what it had persisted. After every step the promises
of DESIGN section 6 are asserted against the truth, never against the core's own words. `python -m sim --seed N`
repeats a run exactly.
"""
