"""Files as people bring them: which delimiter, which quotes, which wrapper of JSON, which encoding, compressed or
not.
"""
