"""The match report: from its filters to the forms in which it is read.

Each module uses those before it, and none after it::

    layout, prose     what every form shows: sections, tables, figures, sentences with links
    scope             the filters, and what they mean for needs, offers and pairs
    answers, rows     the lists behind the numbers, as queries
    equity, outcomes  what is worked out from them: who is served, what became of matches
    lists             the lists by their names in an address
    figures, lines    the numbers, and the lines of the lists
    match_report      the report as data
    heading, sections the report laid out once
    *_form, workbook, pdf, forms    the forms
    folder            forms that take long, made in the background
"""
