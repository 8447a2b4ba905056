"""The parts of the benchmark `faults`: what a studio acknowledged, what it must not touch, and the faults that it
meets.
"""
