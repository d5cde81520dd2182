"""Takes requests of the measuring packages. Gives processes, signals, sockets and readings of this machine.

The one door to the operating system, which tests replace.
"""
