"""What a process that works for another one owes it."""

import multiprocessing
import os
import threading


def die_with_parent() -> None:
    """End this process when the one that started it is gone, so that nothing runs for nobody."""

    def watch() -> None:
        parent = multiprocessing.parent_process()
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
