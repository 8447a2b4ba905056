"""`--demo`: a workspace for a talk, a class or a visitor, with work in it that was really done, gone when it ends."""
