//! What the policies hold, statement by statement.
