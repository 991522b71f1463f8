<?php /* * Sample Web Hook Notification Routine */ define('MY_SPIFFY_KEY', '0c1c9920-5c9c-012d-bd34-000c295ec56b'); // Check for a valid Spiffy Store Web Hook Key
if (strcmp(MY_SPIFFY_KEY, $_SERVER['HTTP_X_SPIFFY_STORES_ID']) != 0) { header('HTTP/1.1 403 Forbidden'); exit(0); } // Read the XML data
$xml_str = ''; $xml_data = fopen('php://input' , 'rb'); while (!feof($xml_data)) { $xml_str .= fread($xml_data, 4096); } fclose($xml_data); $req_xml = new SimpleXMLElement($xml_str); // Check for opt-in
if(strcasecmp($req_xml->{'buyer-accepts-marketing'}, 'true') != 0) { header('HTTP/1.1 200 OK'); exit(0); } /* Connect to remote web site API */ 
....
/* Process Return Code */ if (false === $result ) { header('HTTP/1.1 400 Bad request'); print 'Error'; } else { header('HTTP/1.1 200 OK'); print 'Success'; } exit(0); ?>
