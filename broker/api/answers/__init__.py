"""What the API says of each noun: the schema of its answers, and what fills it for this reader.

Schemas stand in the OpenAPI document, and answers are held to them. What a post, a line of a plan or
the terms of an agreement say is taken from the schema of their input, so that a field that is added
there is documented here.
"""
