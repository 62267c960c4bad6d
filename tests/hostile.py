"""Texts that somebody on the way from a resource to a Pod's output might read instead of passing them on."""

__all__ = ["TEXTS"]

TEXTS = {
    "plain": "hello",
    "unicode": "Hola, 世界! 🦆 é e\u0301 \u202etxet",
    "empty": "",
    "option": "-n",
    "options": "-ne \\x41",
    "quotes": """it's "quoted" `id` \\' \\" ''' \"\"\"""",
    "shell": "$(id) ${HOME} $HOME `id` ; id && id | id > /tmp/x",
    "variables": "$(POD) $$(HOME) $$ $ $$$ $(KUBERNETES_SERVICE_HOST)",
    "jinja": "{{ lookup('pipe','id') }} {% set x = 1 %} {# c #} {{ 1 + 1 }}",
    "lines": "one\ntwo\n\n  three\n",
    "format": "%s %d %% \\n \\t \\x41 %b",
    "yaml": "!unsafe {a: b} - c: [d] # e\n--- &x *x",
}
"""By a name that a resource may have."""
