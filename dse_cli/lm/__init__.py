"""The gateway: a model call goes in, a response comes out, through a stack of small layers."""
