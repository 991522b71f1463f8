"""Why an event has the deliveries that it has: computed from what is stored."""
