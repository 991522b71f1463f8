"""The time machine: what a change would have done to past events, before it is saved."""
