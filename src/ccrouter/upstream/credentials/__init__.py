"""What proves to a cloud who pays: found and renewed by the vendor's own library, fetched through our own client."""
