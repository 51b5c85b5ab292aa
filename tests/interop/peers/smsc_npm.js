'use strict';

// An SMSC made of npm's smpp. Usage: smsc_npm.js HOST PORT ACCOUNTS
//
// ACCOUNTS is a JSON object: who may bind, and the password of each.
// Message ids are hexadecimal; delivery receipts carry the id both in receipted_message_id and in the text; error
// responses have no body.

const smpp = require('smpp');
const { emit, reply, serve, userDataText } = require('./lines');

const [host, port, accountsText] = process.argv.slice(2);
const accounts = JSON.parse(accountsText);
const BIND_MODES = { bind_transmitter: 'transmitter', bind_receiver: 'receiver', bind_transceiver: 'transceiver' };
const FIRST_MESSAGE_ID = 0xa0000001;
const RECEIPT_ESM_CLASS = 0x04;
// Longer than an ESME takes to note the id of a submit_sm_resp: Kannel drops a receipt whose id it has not noted.
const RECEIPT_DELAY_MS = 200;
const STATE_ENROUTE = 1;
const STATE_DELIVERED = 2;

const sessions = new Map();
const messages = new Map();
const counts = { sent: 0, received: 0 };
let sessionCount = 0;

const server = smpp.createServer((connection) => {
  sessionCount += 1;
  const session = { number: sessionCount, connection, mode: null };
  sessions.set(session.number, session);
  connection.socket.setNoDelay(true);
  connection.on('send', () => { counts.sent += 1; });
  connection.on('pdu', () => { counts.received += 1; });
  connection.on('error', () => connection.destroy());
  connection.on('close', () => {
    sessions.delete(session.number);
    emit({ event: 'closed', session: session.number });
  });
  for (const name of Object.keys(BIND_MODES)) {
    connection.on(name, (pdu) => onBind(session, pdu));
  }
  connection.on('submit_sm', (pdu) => onSubmit(session, pdu));
  connection.on('query_sm', (pdu) => onOperation(session, pdu, 'query', {
    message_id: pdu.message_id,
    message_state: STATE_ENROUTE,
  }));
  connection.on('cancel_sm', (pdu) => onOperation(session, pdu, 'cancel', {}));
  connection.on('replace_sm', (pdu) => onOperation(session, pdu, 'replace', {}));
  connection.on('enquire_link', (pdu) => connection.send(pdu.response()));
  connection.on('unbind', (pdu) => {
    emit({ event: 'unbind', session: session.number });
    connection.send(pdu.response());
  });
});

function onBind(session, pdu) {
  let status = smpp.ESME_ROK;
  if (!(pdu.system_id in accounts)) {
    status = smpp.ESME_RINVSYSID;
  } else if (accounts[pdu.system_id] !== pdu.password) {
    status = smpp.ESME_RINVPASWD;
  } else {
    session.mode = BIND_MODES[pdu.command];
  }
  emit({
    event: 'bind',
    session: session.number,
    mode: BIND_MODES[pdu.command],
    system_id: pdu.system_id,
    status,
  });
  session.connection.send(pdu.response({ command_status: status, system_id: 'smsc-npm' }));
}

function onSubmit(session, pdu) {
  const message = {
    message_id: (FIRST_MESSAGE_ID + messages.size).toString(16).toUpperCase(),
    source: pdu.source_addr,
    destination: pdu.destination_addr,
    user_data_header: Buffer.concat((pdu.short_message && pdu.short_message.udh) || []).toString('hex'),
    text: userDataText(pdu.short_message),
  };
  messages.set(message.message_id, message);
  emit(Object.assign({ event: 'submit', session: session.number }, message));
  session.connection.send(pdu.response({ message_id: message.message_id }));
  if (pdu.registered_delivery & 1) {
    setTimeout(sendReceipt, RECEIPT_DELAY_MS, session, message);
  }
}

function onOperation(session, pdu, event, answer) {
  emit({
    event,
    session: session.number,
    message_id: pdu.message_id,
    text: userDataText(pdu.short_message),
  });
  const known = messages.has(pdu.message_id);
  const refusal = { command_status: smpp.ESME_RINVMSGID };
  session.connection.send(pdu.response(known ? answer : refusal));
}

// Returns the receipt on another session than the submit came by, where there is one.
function sendReceipt(submitter, message) {
  const receiving = [...sessions.values()].filter((s) => s.mode === 'receiver' || s.mode === 'transceiver');
  const others = receiving.filter((s) => s !== submitter);
  const [session] = others.length > 0 ? others : receiving;
  if (!session) {
    return;
  }
  session.connection.deliver_sm({
    source_addr: message.destination,
    destination_addr: message.source,
    esm_class: RECEIPT_ESM_CLASS,
    receipted_message_id: message.message_id,
    message_state: STATE_DELIVERED,
    short_message: `id:${message.message_id} sub:001 dlvrd:001 submit date:2611221200 done date:2611221201 ` +
      `stat:DELIVRD err:000 text:${message.text.slice(0, 20)}`,
  });
}

serve({
  sessions: (command) => {
    const bound = [...sessions.values()].filter((s) => s.mode);
    reply(command, { sessions: bound.map((s) => ({ session: s.number, mode: s.mode })) });
  },
  deliver: (command) => {
    const session = sessions.get(command.session);
    if (!session) {
      reply(command, { error: 'no such session' });
      return;
    }
    session.connection.deliver_sm({
      source_addr: command.source,
      destination_addr: command.destination,
      short_message: command.text,
    }, (pdu) => reply(command, { status: pdu.command_status }));
  },
  stats: (command) => reply(command, counts),
  stop: (command) => {
    for (const session of sessions.values()) {
      session.connection.destroy();
    }
    server.close();
    process.stdout.write(JSON.stringify(Object.assign({ reply: command.id }, counts)) + '\n', () => process.exit(0));
  },
});

server.listen(Number(port), host, () => emit({ event: 'listening' }));
