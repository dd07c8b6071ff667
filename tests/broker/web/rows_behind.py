"""Follows the numbers of a page to the lists that they lead to."""

import html
import re


def numbers(page):
    """``(number, address)`` of every linked number of a page, each address once."""
    found = re.findall(r'<a class="total[^"]*" href="([^"]*)">([\d.,  ]+)</a>', page)
    found += re.findall(r'<a href="([^"]*)"><b>([\d.,]+)</b>', page)
    return {html.unescape(address): int(re.sub(r"\D", "", n)) for address, n in found}


def length_of(client, address):
    """How many rows a list has by its own count."""
    page = client.get(address).text
    said = re.search(r'(?:class="results-title">|role="status">)\s*([\d,]+) ', page)
    assert said, address
    return int(said[1].replace(",", ""))


def lead_to_their_rows(client, page):
    """Every number of the page is the length of the list behind it; gives how many were followed."""
    followed = numbers(page)
    wrong = {
        address: (said, found)
        for address, said in followed.items()
        if (found := length_of(client, address)) != said
    }
    assert wrong == {}
    return len(followed)
