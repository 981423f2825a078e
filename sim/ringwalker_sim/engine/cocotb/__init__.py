"""The verification engine: the device under cocotb, behind the root complex of cocotbext-pcie.

``endpoint`` joins the device's TLP streams to a simulated link, ``port`` is the guest's side of it,
``storage`` the disk. ``entry`` runs inside the simulator; ``run`` starts it from outside.
"""
