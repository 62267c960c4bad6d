"""`ansible-operator doctor`: reads an operator project and says what will behave differently here.

Reads files only: nothing of the project is executed, no cluster and no registry is asked. It reports what is certain or
very probable, and keeps quiet about the rest.
"""
