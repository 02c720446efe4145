"""What several families share: checks of arguments, reductions, windows, blocks of attention. Private to `functional` and `nn`."""
