<?php
// Takes orders as Spiffy Stores posts them: XML, with the store's id and the additional data in headers.
//
//     SPIFFY_KEY=<store id> php -S 127.0.0.1:8080 spiffy.php

$key = (string) getenv('SPIFFY_KEY');
if ($key === '' || !hash_equals($key, $_SERVER['HTTP_X_SPIFFY_STORES_ID'] ?? '')) {
    http_response_code(403);
    exit;
}

$order = simplexml_load_string((string) file_get_contents('php://input'));
if ($order === false) {
    http_response_code(400);
    exit('This is not XML.');
}

// Nothing to do for who does not accept marketing: 200 to 399 is success all the same.
if (strcasecmp((string) $order->{'buyer-accepts-marketing'}, 'true') !== 0) {
    exit('Not subscribed');
}

foreach ($order->{'line-items'}->{'line-item'} as $item) {
    error_log("{$order->name} {$order->{'financial-status'}}: {$item->quantity} x {$item->sku}");
}
echo 'Success';
