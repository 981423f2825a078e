"""Moving bytes between guest memory and the device: reader, writer, gather and scatter over chains."""
