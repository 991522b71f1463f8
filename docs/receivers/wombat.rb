# A custom integration as for Wombat/CenitHub: `send_sms` takes an sms, `get_orders` answers a poll.
#
#     gem install sinatra rack webrick
#     HUB_TOKEN=… PORT=9292 ruby wombat.rb
require 'sinatra'
require 'json'

set :bind, '127.0.0.1'
set :port, ENV.fetch('PORT', '9292')

TOKEN = ENV.fetch('HUB_TOKEN') # the token of the integration, whose auth type is `hub`

before do
  given = request.env['HTTP_X_HUB_TOKEN'].to_s
  halt 401, { summary: 'X-Hub-Token is missing or wrong' }.to_json unless Rack::Utils.secure_compare(TOKEN, given)
  content_type :json
  @payload = JSON.parse(request.body.read)
end

# Whatever goes well or wrong, the same request_id goes back; a summary tells people what happened.
def reply(**more)
  { request_id: @payload['request_id'] }.merge(more).to_json
end

post '/send_sms' do
  sms = @payload.fetch('sms')
  if sms['phone'].to_s.delete('^0-9').match?(/\A0*\z/)
    status 500
    return reply(summary: "Unable to send SMS message. Error: #{sms['phone'].inspect} is not a phone number")
  end
  # Here a client of Twilio would use @payload['parameters']['account_sid'] and ['auth_token'].
  reply(summary: "SMS message sent to #{sms['phone']}")
end

# Polling: `last_poll` is in unix seconds and 0 the first time. Arrays in the answer become records of the store,
# `parameters` are kept and come back with the next request.
post '/get_orders' do
  since = Time.at(@payload['last_poll']).utc
  orders = [{ id: 'R1001', status: 'complete', updated_at: '2026-01-02T03:04:05Z' }]
  orders.select! { |order| order[:updated_at] > since.strftime('%FT%TZ') }
  reply(summary: "#{orders.size} orders", orders: orders, parameters: { page: 2 })
end
