"""One static site over everything: what was built here, and the committed references of the rest; it builds no paper."""


rule gallery:
    shell:
        "python -m shared.gallery.build"
