"""The maps of the convolutions: y, dx and dW of a kind of kernel at a kind of size, each in a file."""
