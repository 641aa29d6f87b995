"""A library that starts a thread as soon as it is imported."""

import queue
import threading

questions: "queue.Queue[queue.Queue[str]]" = queue.Queue()


def _answer_all() -> None:
    while True:
        questions.get().put("from the thread")


threading.Thread(target=_answer_all, daemon=True).start()


def answer() -> str:
    """Ask the thread; it would be silent in a fork of a process that had started it."""
    reply: queue.Queue[str] = queue.Queue()
    questions.put(reply)
    return reply.get(timeout=20)
