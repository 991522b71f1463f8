# Takes notification_event as Intercom's tutorial does, and refuses what is not signed with the secret.
#
#     gem install sinatra rack webrick
#     HUB_SECRET=HELLO PORT=4567 ruby intercom.rb
require 'sinatra'
require 'json'
require 'openssl'

set :bind, '127.0.0.1'
set :port, ENV.fetch('PORT', '4567')
$stdout.sync = true

SECRET = ENV.fetch('HUB_SECRET') # the hub_secret that the subscription was made with

def signed?(body)
  given = request.env['HTTP_X_HUB_SIGNATURE'].to_s
  Rack::Utils.secure_compare('sha1=' + OpenSSL::HMAC.hexdigest('sha1', SECRET, body), given)
end

post '/webhook' do
  body = request.body.read
  halt 401, "The signature does not match.\n" unless signed?(body)
  event = JSON.parse(body)
  puts "#{event['topic']} #{event['id'] || '-'} #{event['data']['item'].inspect}"
  "ok\n"
end
