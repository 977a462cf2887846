// Called by knex. DATABASE_URL is the one of the job; deploy-guard hands it on.
module.exports = {
  client: 'pg',
  connection: process.env.DATABASE_URL,
  migrations: { directory: './migrations' },
};
