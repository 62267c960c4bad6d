from ansible.utils.display import Display


def old_filter(value):
    Display().deprecated("old_filter is old", version="99.0")
    return value


class FilterModule:
    def filters(self):
        return {"shout": lambda text: text.upper() + "!", "old_filter": old_filter}
