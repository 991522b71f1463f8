require 'sinatra'
require './twilio_library'
require './twilio_app'
run TwilioApp
