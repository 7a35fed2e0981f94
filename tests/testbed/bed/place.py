"""Where a bed is: on the loopback address, with nothing but a control plane and the emulator.

`node.Node` is the other place: a network namespace with a node in it.
"""


# In the state directory of a bed with a node, so that `down` knows what to take down.
NODE_MARK = "node"


class Loopback:
    """Plain processes on 127.0.0.1, no root."""

    bind = address = "127.0.0.1"
    api_port = None  # a free one
    processes = ()  # besides the control plane and the emulator
    mark = None

    def __init__(self, state):
        self.state = state

    def find(self):
        """The place's own programs."""
        return {}

    def exports(self):
        """Variables that tools need besides."""
        return {}

    def api_flags(self):
        return [
            "--advertise-address=127.0.0.1",  # else it looks for a default route
            "--external-hostname=127.0.0.1",
        ]

    def start(self, programs):
        """Starts what the place adds, once the control plane is ready."""

    def stop(self, recorded):
        """Stops what the place added, while the control plane still runs."""

    def leave(self):
        """Removes what is left, once every process has ended."""

    def claim(self):
        """Tells a later `down` what place this is."""
        if self.mark:
            (self.state / self.mark).touch()

    def abandon(self):
        """Takes away what a bed is started in."""
        if self.mark:
            (self.state / self.mark).unlink(missing_ok=True)
