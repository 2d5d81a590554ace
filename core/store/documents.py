"""Documents: content facts, once per SHA-256."""

from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime

from sqlmodel import col, select

from core.domain.documents import Document, PageProfile
from core.store.engine import Transaction
from core.store.tables import DocumentRow

__all__ = ["find", "save", "several"]


def save(tx: Transaction, document: Document, now: datetime) -> None:
    """Keep what pre-flight learned; the same content again refreshes it."""
    tx.merge(
        DocumentRow(
            sha256=document.sha256,
            size_bytes=document.size_bytes,
            media_type=document.media_type,
            page_count=document.page_count,
            pages=[asdict(page) for page in document.pages],
            inspected_at=now,
            source_url=document.source_url,
        )
    )
    tx.flush()


def find(tx: Transaction, sha256: str) -> Document | None:
    """The document with this content, if it was ever submitted."""
    row = tx.get(DocumentRow, sha256)
    return None if row is None else _document(row)


def several(tx: Transaction, sha256s: Iterable[str]) -> dict[str, Document]:
    """Those with these contents, asked for at once."""
    query = select(DocumentRow).where(col(DocumentRow.sha256).in_(set(sha256s)))
    return {row.sha256: _document(row) for row in tx.exec(query)}


def _document(row: DocumentRow) -> Document:
    return Document(
        sha256=row.sha256,
        size_bytes=row.size_bytes,
        media_type=row.media_type,
        page_count=row.page_count,
        pages=tuple(
            PageProfile(**{**page, "reasons": tuple(page["reasons"])}) for page in row.pages
        ),
        source_url=row.source_url,
    )
