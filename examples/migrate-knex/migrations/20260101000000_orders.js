exports.up = (knex) =>
  knex.schema.createTable('orders', (table) => {
    table.increments('id');
    table.text('item').notNullable();
  });

exports.down = (knex) => knex.schema.dropTable('orders');
