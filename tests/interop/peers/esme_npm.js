'use strict';

// An ESME made of npm's smpp. Usage: esme_npm.js HOST PORT

const smpp = require('smpp');
const { emit, reply, serve, userDataText } = require('./lines');

const [host, port] = process.argv.slice(2);
const sessions = new Map();
const counts = { sent: 0, received: 0 };

function bind(command) {
  const session = smpp.connect({ host, port: Number(port) });
  let answered = false;
  const answer = (fields) => {
    if (!answered) {
      answered = true;
      reply(command, fields);
    }
  };
  session.on('send', () => { counts.sent += 1; });
  session.on('pdu', () => { counts.received += 1; });
  session.on('error', (error) => answer({ error: String(error) }));
  session.on('close', () => {
    answer({ error: 'closed before the bind was answered' });
    if (sessions.get(command.session) === session) {
      sessions.delete(command.session);
      emit({ event: 'closed', session: command.session });
    }
  });
  session.on('deliver_sm', (pdu) => onDeliver(command.session, session, pdu));
  session.on('enquire_link', (pdu) => session.send(pdu.response()));
  session.on('unbind', (pdu) => {
    emit({ event: 'unbind', session: command.session });
    session.send(pdu.response());
  });
  session.on('connect', () => {
    session['bind_' + command.mode]({
      system_id: command.system_id,
      password: command.password,
      interface_version: 0x34,
      address_range: command.address_range || '',
    }, (pdu) => {
      if (pdu.command_status === 0) {
        sessions.set(command.session, session);
      } else {
        session.close();
      }
      answer({ status: pdu.command_status });
    });
  });
}

function onDeliver(name, session, pdu) {
  emit({
    event: 'deliver',
    session: name,
    source: pdu.source_addr,
    destination: pdu.destination_addr,
    esm_class: pdu.esm_class,
    text: userDataText(pdu.short_message),
    receipted_message_id: pdu.receipted_message_id === undefined ? null : pdu.receipted_message_id,
  });
  session.send(pdu.response());
}

// Sends a request; the reply to the driver follows when its response is read.
function request(command, name, fields, whenAnswered) {
  const session = sessions.get(command.session);
  if (!session) {
    reply(command, { error: 'no such session' });
    return;
  }
  session[name](fields, (pdu) => {
    if (whenAnswered) {
      whenAnswered(session);
    }
    const answer = { status: pdu.command_status, command: pdu.command };
    for (const key of ['message_id', 'message_state']) {
      if (pdu[key] !== undefined) {
        answer[key] = pdu[key];
      }
    }
    reply(command, answer);
  });
}

serve({
  bind,
  submit: (command) => request(command, 'submit_sm', {
    source_addr: command.source,
    destination_addr: command.destination,
    short_message: command.text,
    registered_delivery: command.registered_delivery || 0,
  }),
  query: (command) => request(command, 'query_sm', {
    message_id: command.message_id,
    source_addr: command.source,
  }),
  cancel: (command) => request(command, 'cancel_sm', {
    message_id: command.message_id,
    source_addr: command.source,
    destination_addr: command.destination,
  }),
  replace: (command) => request(command, 'replace_sm', {
    message_id: command.message_id,
    source_addr: command.source,
    short_message: { message: Buffer.from(command.text, 'latin1') },
  }),
  enquire_link: (command) => request(command, 'enquire_link', {}),
  unbind: (command) => request(command, 'unbind', {}, (session) => {
    sessions.delete(command.session);
    session.close();
  }),
  stats: (command) => reply(command, counts),
});
