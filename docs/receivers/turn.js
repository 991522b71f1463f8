// A Turn.io integration with Node's standard library: handshake, context for a chat, an action.
//
//     TURN_SECRET=<secret of the integration> TURN_TOKEN=123 PORT=3000 node turn.js
//
// The secret is known once the integration exists: Hookdesk then asks again by `handshake`.
const http = require('node:http')
const crypto = require('node:crypto')

const { TURN_SECRET: secret = '', TURN_TOKEN: token = '', PORT: port = '3000' } = process.env

const CAPABILITIES = {
  actions: true,
  suggested_responses: true,
  context_objects: [
    { title: 'Member', code: 'member', type: 'table', icon: 'none' },
    { title: 'Last orders', code: 'orders', type: 'ordered-list', icon: 'none' },
  ],
}

let language = 'English'

const same = (a, b) => {
  const [left, right] = [Buffer.from(a), Buffer.from(b)]
  return left.length === right.length && crypto.timingSafeEqual(left, right)
}

// The key is the secret as it is shown, byte for byte; the signature is over the body as it came.
function isSigned(request, body) {
  const expected = crypto.createHmac('sha256', secret).update(body).digest('base64')
  return same(expected, request.headers['x-turn-hook-signature'] || '')
}

function answer(response, status, value, headers = {}) {
  response.writeHead(status, { 'Content-Type': 'application/json', ...headers })
  response.end(JSON.stringify(value))
}

function context({ chat, messages }) {
  const last = messages[messages.length - 1]
  return {
    version: '1.0.0-alpha',
    context_objects: {
      member: { Address: chat.owner, Language: language },
      orders: ['R1001: two pizzas', 'R1000: one pizza'],
    },
    suggested_responses: [
      { type: 'TEXT', title: 'Greet', body: `Thank you for "${last?.text?.body ?? 'writing'}"`, confidence: 0.8 },
    ],
    actions: {
      change_language: {
        description: 'Change language',
        url: '/actions/language',
        payload: { from: language },
        options: { eng: 'English', swa: 'Kiswahili' },
      },
    },
  }
}

http.createServer(async (request, response) => {
  const parts = []
  for await (const part of request) parts.push(part)
  const body = Buffer.concat(parts)
  if (token && !same(`Bearer ${token}`, request.headers.authorization || '')) return answer(response, 401, { error: 'token' })
  const value = JSON.parse(body.toString('utf8') || '{}')
  if (value.handshake) {
    return answer(response, 200, { version: '1.0.0-alpha', capabilities: CAPABILITIES })
  }
  if (!isSigned(request, body)) return answer(response, 403, { error: 'The signature does not match' })
  if (new URL(request.url, 'http://here').pathname === '/actions/language') {
    language = { eng: 'English', swa: 'Kiswahili' }[value.option] ?? language
    console.log(`${value.address}: ${value.payload.from} -> ${language}`)
    return answer(response, 200, { language }, { 'X-Turn-Integration-Refresh': 'true' })
  }
  if (value.chat) return answer(response, 200, context(value))
  console.log('event', value)
  return answer(response, 200, {})
}).listen(Number(port), '127.0.0.1', () => console.log(`listening on ${port}`))
