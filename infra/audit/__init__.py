"""What is wrong with the libraries that others wrote: known holes, and licences that were not agreed to."""
