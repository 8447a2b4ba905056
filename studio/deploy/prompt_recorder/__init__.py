"""The prompt recorder: a proxy between any client and any engine that shows what was really sent."""
