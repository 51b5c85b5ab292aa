'use strict';

// How a Node peer talks with the driver: one JSON object a line, commands in, replies and events out.
// When the driver closes its end the program ends.

const readline = require('readline');

function emit(fields) {
  process.stdout.write(JSON.stringify(fields) + '\n');
}

function reply(command, fields) {
  emit(Object.assign({ reply: command.id }, fields));
}

function serve(handlers) {
  const lines = readline.createInterface({ input: process.stdin });
  lines.on('line', (line) => {
    const command = JSON.parse(line);
    handlers[command.do](command);
  });
  lines.on('close', () => process.exit(0));
}

// npm smpp hands user data over as {message: text}, or as the bare octets.
function userDataText(shortMessage) {
  const message = shortMessage && shortMessage.message !== undefined ? shortMessage.message : shortMessage;
  return Buffer.isBuffer(message) ? message.toString('latin1') : message || '';
}

module.exports = { emit, reply, serve, userDataText };
