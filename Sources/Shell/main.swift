print("prn")
