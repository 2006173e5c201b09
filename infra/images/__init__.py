"""The images of the functions: what each is made of, and how they are built and pushed."""
