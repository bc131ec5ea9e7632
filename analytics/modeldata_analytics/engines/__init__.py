"""What sorts, types and writes rows: DuckDB, behind an interface of a few operations."""

from .engine import Engine, EngineError, Rows, Sorted, TypedColumn, TypedRows

__all__ = ["Engine", "EngineError", "Rows", "Sorted", "TypedColumn", "TypedRows"]
