"""GPU leases, devices, and the command that starts a step on them; imports without torch."""
