"""The first visit of a person: from the machine to a tuned model that answers, in one minute, told once."""
