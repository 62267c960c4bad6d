"""examples/printer."""

from scripts.demo.shows import Await, Do, Needs, Objects, Output, Owners, Show, status

__all__ = ["PRINTER"]

_HELLO, _LITERALLY = "print-hello-world", "print-literally"

PRINTER = Show.example(
    "printer",
    crds=("printers.cadumillani.com.br",),
    images=("RELATED_IMAGE_PRINTER",),
    steps=(
        Await(what="the Pod of Printer print-hello-world", kind="pod", name=_HELLO),
        Await(
            what="what it has to print is printed",
            kind="printer",
            name=_HELLO,
            until=status(current="printed"),
            needs=Needs.NODE,
        ),
        Output(title="what the Pod printed", arguments=("logs", _HELLO), expected="Hello Kube!\n", needs=Needs.NODE),
        Await(
            what="so is a text that looks like commands and templates",
            kind="printer",
            name=_LITERALLY,
            until=status(current="printed"),
            needs=Needs.NODE,
        ),
        Output(
            title="what that Pod printed",
            arguments=("logs", _LITERALLY),
            expected="\"$(id)\" `id` $(HOME) {{ lookup('pipe', 'id') }} it's %s\\n\n",
            needs=Needs.NODE,
        ),
        Objects(title="status", kinds="printers", conditions_of=("printer", _HELLO)),
        Owners(kinds="pods", of=(("printer", _HELLO), ("printer", _LITERALLY))),
        Do(
            title="somebody deletes the Pod; what is printed stays printed",
            arguments=("delete", "pod", _HELLO),
            needs=Needs.NODE,
        ),
        Objects(title="status", kinds="printers,pods", needs=Needs.NODE),
    ),
)
