"""Lists of prompts: the form, the lists there are, and the table of one."""
