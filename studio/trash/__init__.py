"""The trash as a person sees it: what is in it, back to where it stood, or gone for good."""
