"""What `balancer doctor` looks at: one small file per subject, each a function from a `Bench` to findings."""
