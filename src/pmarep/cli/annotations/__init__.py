"""`pmarep annotations`: annotations of slides, from sites to side files and back."""
