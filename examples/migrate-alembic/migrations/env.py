"""Called by Alembic. DATABASE_URL is the one of the job; deploy-guard hands it on."""
import os

from alembic import context
from sqlalchemy import create_engine, make_url, pool

# `postgresql://` is another driver from SQLAlchemy 2.1 on.
url = make_url(os.environ["DATABASE_URL"]).set(drivername="postgresql+psycopg2")

if context.is_offline_mode():
    # `deploy-guard migrate` reads the SQL of what is pending: `alembic upgrade … --sql`.
    context.configure(url=url, literal_binds=True, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()
else:
    with create_engine(url, poolclass=pool.NullPool).connect() as connection:
        # Each migration in a transaction of its own: those before one that fails stay applied.
        context.configure(connection=connection, transaction_per_migration=True)
        with context.begin_transaction():
            context.run_migrations()
