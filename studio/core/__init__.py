"""What every room stands on: files and records that may be hostile, processes with limits. Knows no tab and no page."""
