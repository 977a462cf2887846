// The shop: it lists its orders, and is healthy as long as it can.
'use strict';
const { readFileSync } = require('node:fs');
const { createServer } = require('node:http');
const knex = require('knex')(require('./knexfile.js'));

const release = readFileSync(`${__dirname}/VERSION`, 'utf8').trim();
const [address, port] = process.env.LISTEN.split(':');
const orders = () => knex('orders').select('id', 'item').orderBy('id').limit(100);

const routes = {
  '/api/v1/version': async () => ({ version: release }),
  '/orders': orders,
  '/health/ready': async () => {
    await orders();
    return { status: 'healthy' };
  },
};

createServer(async (request, response) => {
  const answer = (status, body) => {
    response.writeHead(status, { 'Content-Type': 'application/json' });
    response.end(JSON.stringify(body));
  };
  const route = routes[request.url];
  if (!route) return answer(404, {});
  try {
    answer(200, await route());
  } catch (error) {
    console.error(error.message);
    answer(503, { status: 'degraded' });
  }
}).listen(Number(port), address);
