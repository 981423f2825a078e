"""How a device is opened for the checks: a module for each kind of target.

Each gives a context manager that yields a :class:`.target.Target`. Two of them from a script::

    with open_qemu("virtio-net-pci", {"disable-legacy": True}) as target:
        for outcome in target.run(all_checks()):
            print(outcome.id, outcome.verdict, outcome.text)

    with open_local("model", config) as target: ...

:class:`..session.Session` runs checks on a target that may die and is opened again.
"""
