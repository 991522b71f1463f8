"""Takes the values that a chatbot has collected, flat, one key each, and notes a confirmed order.

pip install flask
PORT=5000 python sarufi.py
"""

import os

from flask import Flask, request

app = Flask(__name__)


@app.route("/new-order", methods=["POST"])
def new_order():
    data = request.get_json()
    if int(data.get("choice_confirmation", 0)) != 1:
        print("new order cancelled", flush=True)
        return "Received"
    print(
        f"new order: {data.get('number_of_pizzas')} pizza with {data.get('pizza_toppings')} "
        f"to {data.get('address')}, call {data.get('phone_number')}",
        flush=True,
    )
    return "Received"


if __name__ == "__main__":
    app.run(host="127.0.0.1", port=int(os.environ.get("PORT", "5000")))
