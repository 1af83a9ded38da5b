(component (@custom "encaje:manifest" "name = \"x\"\nversion = \"1.2.3\"\nkind = \"provider\"\npublisher = \"acme\"\nlicense = \"MIT\"\ndescription = \"Answers\"\nwit = \"0.1\"\n"))
